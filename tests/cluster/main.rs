//! Faults on a cluster of real processes; one scenario per file.
