//! What may be deployed where next (`deployments.md` 6.2).
