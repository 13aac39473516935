//! Makes remote-write bodies of given sizes from one that a sender posted: as many of its series as needed, starting
//! over when they are used up (protobuf messages concatenate), compressed again. The result is as valid as the input,
//! so a frame check accepts it.
//!
//! Snappy compresses blocks of 64 KiB separately, so repeated series do not compress better than the first ones. They
//! are repeated in another order, which compresses a little worse: a check accepts 32 MiB decoded, and a 4 MB body must
//! stay below that.

mod series;

use std::path::Path;
use std::process::ExitCode;

use snap::raw::{Decoder, Encoder};

const USAGE: &str = "usage: bodies BODY FOLDER BYTES…   writes FOLDER/BYTES.snappy, each at most that long";

/// Distance between consecutive series when they are repeated.
const STEP: usize = 7;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [body, folder, sizes @ ..] if !sizes.is_empty() => report(make(body, Path::new(folder), sizes)),
        _ => report(Err(USAGE.to_owned())),
    }
}

fn report(result: Result<(), String>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("bodies: {error}");
    ExitCode::FAILURE
}

fn make(body: &str, folder: &Path, sizes: &[String]) -> Result<(), String> {
    let compressed = std::fs::read(body).map_err(|error| format!("{body}: {error}"))?;
    let plain = Decoder::new().decompress_vec(&compressed).map_err(|error| format!("{body}: {error}"))?;
    let series = series::split(&plain).ok_or_else(|| format!("{body}: holds something other than series"))?;
    for size in sizes {
        let bytes = size.parse().map_err(|_| format!("{size} is no number of bytes"))?;
        let made = largest(&series, bytes)?;
        let path = folder.join(format!("{size}.snappy"));
        std::fs::write(&path, made).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The body with the most series that fit; an error when not even one does.
fn largest(series: &[&[u8]], bytes: usize) -> Result<Vec<u8>, String> {
    let mut good = compress(series, 1)?;
    if good.len() > bytes {
        return Err(format!("one series takes {} bytes, more than {bytes}", good.len()));
    }
    let (mut fits, mut step) = (1, 1);
    // Doubles the step until the body is too large, then halves it: about 2 log n compressions.
    let mut growing = true;
    while step > 0 {
        let tried = compress(series, fits + step)?;
        if tried.len() <= bytes {
            (good, fits) = (tried, fits + step);
            step = if growing { step * 2 } else { step / 2 };
        } else {
            growing = false;
            step /= 2;
        }
    }
    Ok(good)
}

fn compress(series: &[&[u8]], count: usize) -> Result<Vec<u8>, String> {
    let plain: Vec<u8> =
        order(series.len()).take(count).filter_map(|at| series.get(at).copied()).flatten().copied().collect();
    Encoder::new().compress_vec(&plain).map_err(|error| error.to_string())
}

/// Numbers below `length` without end: first in order, then in steps of [`STEP`] over all of them.
fn order(length: usize) -> impl Iterator<Item = usize> {
    (0..length).chain((0..length).cycle().step_by(STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_body_that_fits() {
        let texts: Vec<Vec<u8>> = (0..9_u8).map(|i| [0x0a, 3, i, i * 7 + 1, i * 29 + 3].to_vec()).collect();
        let series: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let made = largest(&series, compress(&series, 5).unwrap().len()).unwrap();
        assert_eq!(Decoder::new().decompress_vec(&made).unwrap(), texts[..5].concat());
        assert!(largest(&series, 2).unwrap_err().contains("more than 2"));
    }
}
