//! The machine in simulated time, and the law that nobody gets to open without a verified credential.
