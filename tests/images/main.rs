//! Stories of the two images on a real container engine (`containers.md` 8.1). They need `tests/images/build` to
//! have been run, and Docker, docker-compose, openssl, python3 and chromium to be installed. Containers are
//! hardened unless a story says `plain`. What a story makes carries its own label and is removed with it.

mod client;
mod engine;
mod quiet;
mod stack;

mod administrator;
mod compose;
mod coverage;
mod database;
mod deployment;
mod deregistration;
mod endpoint;
mod master_key;
mod npm_package;
mod plain;
mod process_one;
mod registration;
mod setting;
mod start;
mod upgrade;
mod volume;
