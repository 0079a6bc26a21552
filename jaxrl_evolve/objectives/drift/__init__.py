"""Drift objectives: the policy's gain minus a penalty, written (discovered policy optimisation) or learned (LPO)."""
