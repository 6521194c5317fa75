"""Sounding Photos: films of photographed objects whose recordings are heard, with exact masks."""
