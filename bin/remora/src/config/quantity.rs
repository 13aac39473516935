//! Numbers with and without units: counts, ports, sizes, durations.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::fault::Reject;

/// Bytes in one KiB.
pub(crate) const KIB: usize = 1024;
/// Bytes in one MiB.
pub(crate) const MIB: usize = 1024 * KIB;
/// Bytes in one GiB.
pub(crate) const GIB: usize = 1024 * MIB;

/// Units of a size. Kubernetes writes `8Mi`; `8M` would be a different number and is refused.
const UNITS: [(&str, usize); 7] =
    [("KiB", KIB), ("MiB", MIB), ("GiB", GIB), ("Ki", KIB), ("Mi", MIB), ("Gi", GIB), ("", 1)];

/// A whole number in `range`, digits only.
pub(crate) fn count<N: TryFrom<usize>>(text: &str, range: &RangeInclusive<usize>) -> Result<N, Reject> {
    let count = digits(text).filter(|count| range.contains(count));
    count.and_then(|count| count.try_into().ok()).ok_or_else(|| {
        let wanted = format!("{} to {}", range.start(), range.end());
        Reject::new(format!("is not a whole number from {wanted}"), format!("use a number from {wanted}"))
    })
}

/// A TCP port.
pub(crate) fn port(text: &str) -> Result<u16, Reject> {
    let port = digits(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    port.ok_or_else(|| Reject::new("is not a port from 1 to 65535", "use a number from 1 to 65535"))
}

/// A size in bytes within `range`: `8MiB`, `8Mi` and `8388608` are equal.
pub(crate) fn size(text: &str, range: &RangeInclusive<usize>) -> Result<usize, Reject> {
    let wanted = format!("from {} to {}", size_text(*range.start()), size_text(*range.end()));
    let bytes = UNITS.iter().find_map(|(unit, bytes)| {
        let count = digits(text.strip_suffix(unit)?.trim_end())?;
        count.checked_mul(*bytes)
    });
    match bytes {
        Some(bytes) if range.contains(&bytes) => Ok(bytes),
        Some(_) => Err(Reject::new(format!("is not {wanted}"), format!("use a size {wanted}"))),
        None => Err(Reject::new("is not a size", "write it in bytes or with KiB, MiB or GiB, for example 8MiB")),
    }
}

/// A duration within `range`, with its unit: `500ms`, `25s`, `30m`, `1h 30m`.
pub(crate) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Reject> {
    let duration = humantime::parse_duration(text)
        .map_err(|_| Reject::new("is not a duration", "write a number with ms, s, m or h, for example 25s"))?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let wanted = format!("from {} to {}", duration_text(*range.start()), duration_text(*range.end()));
    Err(Reject::new(format!("is not {wanted}"), format!("use a duration {wanted}")))
}

/// A size in the largest unit that divides it, in a form that can be given as a value.
pub(crate) fn size_text(bytes: usize) -> String {
    let units = [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    let whole = units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// A duration in a form that can be given as a value.
pub(crate) fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Digits only: `parse` alone would accept `+5`.
fn digits(text: &str) -> Option<usize> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: RangeInclusive<usize> = 0..=usize::MAX;
    const UP_TO_AN_HOUR: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("8MiB", 8 * MIB), ("8Mi", 8 * MIB), ("8 MiB", 8 * MIB), ("8388608", 8 * MIB), ("1GiB", GIB), ("0", 0)]
        {
            assert_eq!(size(text, &ANY), Ok(bytes), "{text}");
        }
        for text in ["8M", "8MB", "8mib", "+8", "-1", "MiB", "1.5MiB", "0x10", "99999999999999GiB", "٣"] {
            assert!(size(text, &ANY).is_err(), "{text}");
        }
        assert!(size("3KiB", &(4 * KIB..=MIB)).expect_err("too small").wrong.contains("from 4KiB to 1MiB"));
    }

    #[test]
    fn counts() {
        assert_eq!(count("64", &(1..=64)), Ok(64_usize));
        for text in ["0", "65", "+1", " 1", "", "1e1"] {
            assert!(count::<usize>(text, &(1..=64)).is_err(), "{text}");
        }
    }

    #[test]
    fn ports() {
        assert_eq!((port("1"), port("65535")), (Ok(1), Ok(65535)));
        for text in ["0", "65536", "+80", "http"] {
            // Not an example, which may be the port that the other setting has.
            assert_eq!(port(text).expect_err(text).fix, "use a number from 1 to 65535", "{text}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("25s", &UP_TO_AN_HOUR), Ok(Duration::from_secs(25)));
        assert_eq!(duration("1m 30s", &UP_TO_AN_HOUR), Ok(Duration::from_secs(90)));
        for text in ["25", "0s", "61m", "-1s", "soon"] {
            assert!(duration(text, &UP_TO_AN_HOUR).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_would_be_written() {
        assert_eq!(size_text(8 * MIB), "8MiB");
        assert_eq!(size_text(1536 * KIB), "1536KiB");
        assert_eq!(size_text(1025), "1025");
        for bytes in [0, 1, 1023, KIB, 5_000_000, MIB, GIB - 1, GIB] {
            assert_eq!(size(&size_text(bytes), &ANY), Ok(bytes));
        }
    }
}
