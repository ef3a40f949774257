"""Controls of the host: their chain, curves on their strength, SparseCtrl and where its images go."""
