"""EC2: machines through the official SDK. Only what is in this folder may import that SDK, which need not be there."""
