"""What tests of programs that use Vertex AI need: an emulator, clients on it, Google's contract."""
