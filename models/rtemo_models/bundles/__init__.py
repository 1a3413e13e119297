"""Cards of models whose weights lie in other packages; what is trained here lies in `rtemo_weights`."""
