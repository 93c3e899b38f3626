"""AWS on one machine: moto in server mode, mended where a deployment of ours needs it."""
