"""ImageBind's audio by torchaudio's Kaldi, as the authors' data.py calls it."""

import pytest
import torch
import torchaudio

from nimblelm.multimodal.imagebind import MEAN, STD, imagebind_audio

RATE_HZ = 16_000


def theirs(waveform, starts_s):
    """Kaldi's filter bank of each clip minus its mean, filled up with 0 to 204 frames, then normalised."""
    found = []
    for start in starts_s:
        clip = waveform[int(start * RATE_HZ) : int((start + 2) * RATE_HZ)]
        bank = torchaudio.compliance.kaldi.fbank(
            (clip - clip.mean())[None],
            htk_compat=True,
            sample_frequency=RATE_HZ,
            use_energy=False,
            window_type="hanning",
            num_mel_bins=128,
            dither=0.0,
            frame_length=25,
            frame_shift=10,
        )
        found.append(torch.nn.functional.pad(bank.T, (0, 204 - len(bank))))
    return (torch.stack(found) - MEAN) / STD


@pytest.mark.parametrize(("seconds", "starts_s"), [(5.0, (0.0, 1.5, 3.0)), (2.0, (0, 0, 0)), (0.7, (0, 0, 0))])
def test_three_clips_are_those_of_the_authors_code(seconds, starts_s):
    waveform = 0.3 * torch.randn(int(seconds * RATE_HZ), generator=torch.Generator().manual_seed(1)) + 0.05
    got = imagebind_audio(waveform)
    assert got.shape == (3, 128, 204)
    torch.testing.assert_close(got, theirs(waveform, starts_s), atol=2e-3, rtol=1e-3)


def test_what_is_filled_up_is_zero_before_it_is_normalised():
    got = imagebind_audio(torch.randn(RATE_HZ, generator=torch.Generator().manual_seed(1)), num_clips=1)
    torch.testing.assert_close(got[..., 98:], torch.full((1, 128, 106), -MEAN / STD))
    assert (MEAN, STD) == (-4.268, 9.138)


def test_what_cannot_be_heard_is_refused():
    with pytest.raises(ValueError, match="num_clips 0"):
        imagebind_audio(torch.zeros(RATE_HZ), 0)
    with pytest.raises(ValueError, match="48000"):
        imagebind_audio(torch.zeros(RATE_HZ), sample_rate_hz=48_000)
    with pytest.raises(ValueError, match="100"):
        imagebind_audio(torch.zeros(100))
