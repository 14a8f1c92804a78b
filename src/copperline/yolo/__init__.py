"""YOLOv12 in PyTorch, written from the paper: blocks, networks, assignment, loss, checkpoint import, ONNX export."""
