"""Training on a GPU: many models of one shape computed as one.

* `batched`: batched matrix products in torch; runs on any device, and is the reference of `fused`
* `fused`: one Triton kernel per layer and direction
* `triton_kernels`: those kernels
* `cuda_graph`: a training step captured as a CUDA graph and replayed
"""
