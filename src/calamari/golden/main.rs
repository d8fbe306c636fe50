//! Golden trees: packages of every format and for every convention are deployed by the program itself, and what was there
//! before, the stages, the output variables, the tree afterwards and the journal are compared with a file in `golden/tree`.
//! With `MANTLE_GOLDEN=write` those files are written anew, to be looked at before they are kept.

mod again;
mod bad_input;
mod cache;
mod convention;
mod format;
mod java_archive;
mod output;
mod pack;
mod place;
mod published;
mod security;
