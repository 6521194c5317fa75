"""From a film to a film in which the sounding pixels are marked."""
