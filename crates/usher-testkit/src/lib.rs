//! For tests only: a server on port 0, actors, and a client that folds frames into state.
