"""Sounding Shapes: films of shapes that sound, with exact masks."""
