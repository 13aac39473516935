//! Makes remote-write bodies of given sizes out of one that a sender posted: its series, as many as are needed and again
//! from the beginning when they are used up (messages of protobuf concatenate), compressed anew. What comes out is as
//! valid as what went in, so that a frame check takes it.
//!
//! Snappy compresses blocks of 64 KiB by themselves, so repeated series do not compress better than the first ones.

use std::path::Path;
use std::process::ExitCode;

use snap::raw::{Decoder, Encoder};

const USAGE: &str = "usage: bodies BODY FOLDER BYTES…   writes FOLDER/BYTES.snappy, each at most that long";

/// The tag of `WriteRequest.timeseries`: field 1, length-delimited.
const TIMESERIES: u8 = 0x0a;

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
    let series = series(&plain).ok_or_else(|| format!("{body}: holds something other than series"))?;
    for size in sizes {
        let bytes = size.parse().map_err(|_| format!("{size} is no number of bytes"))?;
        let made = largest(&series, bytes)?;
        let path = folder.join(format!("{size}.snappy"));
        std::fs::write(&path, made).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The body of the most series that fit; an error when not even one does.
fn largest(series: &[&[u8]], bytes: usize) -> Result<Vec<u8>, String> {
    let mut good = compress(series, 1)?;
    if good.len() > bytes {
        return Err(format!("one series takes {} bytes, more than {bytes}", good.len()));
    }
    let (mut fits, mut step) = (1, 1);
    // Doubles the step until too much, then halves it: about twice the logarithm in compressions.
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
    let plain: Vec<u8> = series.iter().cycle().take(count).flat_map(|one| one.iter().copied()).collect();
    Encoder::new().compress_vec(&plain).map_err(|error| error.to_string())
}

/// The fields of a `WriteRequest` with their tags and lengths; `None` when one of them is no series.
fn series(mut plain: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !plain.is_empty() {
        let (length, at) = varint(plain.strip_prefix(&[TIMESERIES])?)?;
        let (one, rest) = plain.split_at_checked(1 + at + length)?;
        found.push(one);
        plain = rest;
    }
    (!found.is_empty()).then_some(found)
}

/// A base-128 number and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"\x0a\x03abc";
    const OTHER: &[u8] = b"\x0a\x02de";

    #[test]
    fn series_are_cut_with_their_tags() {
        assert_eq!(series(&[ONE, OTHER].concat()), Some(vec![ONE, OTHER]));
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for plain in [&b""[..], b"\x12\x01a", b"\x0a\x05abc", b"\x0a\x80"] {
            assert_eq!(series(plain), None, "{plain:?}");
        }
    }

    #[test]
    fn a_length_of_two_bytes() {
        assert_eq!(varint(&[0xac, 0x02, 9]), Some((300, 2)));
    }

    #[test]
    fn the_largest_body_that_fits() {
        let texts: Vec<Vec<u8>> = (0..9_u8).map(|i| [0x0a, 3, i, i * 7 + 1, i * 29 + 3].to_vec()).collect();
        let series: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let made = largest(&series, compress(&series, 5).unwrap().len()).unwrap();
        assert_eq!(Decoder::new().decompress_vec(&made).unwrap(), texts[..5].concat());
        assert!(largest(&series, 2).unwrap_err().contains("more than 2"));
    }
}
