"""One-machine stand-ins: the embedded store and the development stack that `make up` starts."""
