//! gzip both ways, with a bound on what a small input may grow to.
//!
//! Must not: stream (bodies that stream are the proxy's).

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::ops::no_string;
use crate::vm::{Args, Registrar, Ret, op};

/// What a decompressed text may grow to.
const MAX_INFLATED: u64 = 256 << 20;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("libs", "gzip", op::raw(gzip))?;
    r.op("libs", "gunzip", op::raw(gunzip))
}

fn gzip(a: &Args, r: &mut Ret) {
    let Some(bytes) = a.str(1) else {
        return no_string(a, r, 1, "deflate_gzip");
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    match encoder.write_all(bytes).and_then(|()| encoder.finish()) {
        Ok(out) => r.held(out.into()),
        Err(_) => r.fail("INFLATE: data error"),
    };
}

fn gunzip(a: &Args, r: &mut Ret) {
    let Some(bytes) = a.str(1) else {
        return no_string(a, r, 1, "inflate_gzip");
    };
    let mut out = Vec::new();
    match MultiGzDecoder::new(bytes)
        .take(MAX_INFLATED + 1)
        .read_to_end(&mut out)
    {
        Ok(n) if n as u64 > MAX_INFLATED => r.fail("inflated content is too large"),
        Ok(_) => r.held(out.into()),
        Err(_) => r.fail("INFLATE: data error"),
    };
}
