"""From a waveform to what a model reads: frames, windows, spectra, mel bands, cepstra, and the way back."""
