"""Open models of others, under licences as free as that of the code; what is trained here lies in `rtemo_weights`."""
