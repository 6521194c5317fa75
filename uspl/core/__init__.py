"""What everything stands on: errors, files, records, device, progress. Nothing of the method."""
