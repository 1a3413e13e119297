"""The authenticator plugin: signs of a synthetic voice, by the large listener's encoder, beside the tick."""
