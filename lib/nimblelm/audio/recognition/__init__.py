"""Speech recognition: CTC and its decoders, hidden Markov models, conformer, wav2vec 2.0 and Whisper."""
