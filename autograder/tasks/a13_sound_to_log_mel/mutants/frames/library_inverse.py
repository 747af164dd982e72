"""Has torch's inverse of the short-time transform lay the frames down: it refuses samples in no frame.

kills: samples_in_no_frame_are_zero
visible: a_sample_in_no_frame_is_zero
"""


# %% frames
def frame_batch(waveforms, lengths, frame_length, hop):
    half, frames = frame_length // 2, []
    for row, length in zip(waveforms, lengths):
        padded = torch.nn.functional.pad(row[None, None, :length], (half, half), mode="reflect")[0, 0]
        frames.append(padded.unfold(0, frame_length, hop))
    mask = torch.arange(max(map(len, frames))) < torch.tensor([len(one) for one in frames])[:, None]
    return torch.nn.utils.rnn.pad_sequence(frames, batch_first=True), mask


def unframe_batch(frames, mask, window, hop, lengths):
    out = frames.new_zeros(len(lengths), max(lengths))
    for b, length in enumerate(lengths):
        spectrum = torch.fft.rfft(frames[b, mask[b]]).T
        out[b, :length] = torch.istft(spectrum, frames.shape[-1], hop, window=window, length=length)
    return out
