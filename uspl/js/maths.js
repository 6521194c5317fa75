// The equations on flat arrays, row after row; tests/test_live.py compares each with PyTorch.
"use strict";
uspl.maths ||= {};
