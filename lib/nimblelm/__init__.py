"""Nimble Language Models: reference implementations behind the course, one idea a file.

What goes where; a room imports only what stands above it, `measure` and `data` import nothing of ours.

kernels/       Triton kernels with their oracles, a folder each: flash attention, flash decoding, weight-only matmul
nn/            what models share: attend (who sees whom), attention, positions (rotary), norms, patches, checkpoints
language/      text models, a file each: llama, mistral, bert, t5, recurrent, seq2seq
inference/     decoding/ (sampling, caches)  speculative/ (acceptance rule)  medusa/  serving/  batched/ (CUDA graphs)
compression/   quantization, LoRA, pruning, distillation                                        (from chapter 5 on)
vision/        preprocessing, ViT with rollout, ResNet, HOG; CLIP, codecs, diffusion            (from chapter 8 on)
control/       a cart with a pole; behaviour cloning, GAIL, TRPO                                (chapter 8)
audio/         features/ (log-mel), recognition, synthesis, codecs, speech language models      (from chapter 15 on)
multimodal/    models of several modalities: projectors, fusion, vision-language models         (from chapter 10 on)
measure/       time, memory, energy, roofline
data/          corpora, emoji (pictures), voices, and checkpoints/ that were trained here, each with log and seed

A cache, a mask or a window is a function that a model is given (`nn/attend.py`), never a branch within it. What an
exercise asks for lives in a module of its own, so that hiding it from the exercise hides nothing else.
"""

__version__ = "0.1.0"
