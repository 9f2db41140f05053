//! The one integration binary: the house's own rules, and each requirement over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod a02_demo;
mod a03_bodies;
mod a03_proxy;
mod a04_raw_heads;
mod a05_workers;
mod a06_real_address;
mod a07_logs;
mod a08_errors;
mod a09_crowd;
mod a09_lua_state;
mod a10_layouts;
mod a10_phases;
mod a11_differential;
mod a11_pdk;
mod a12_configuration;
mod a13_cli;
mod a14_spec;
mod b04_bad_entities;
mod b04_bad_input;
mod b04_bad_schemas;
mod b04_scale;
mod b06_cache;
mod b07_vaults;
mod house;
mod support;
