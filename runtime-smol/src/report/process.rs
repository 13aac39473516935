//! What the kernel says about the process, under the names that every Prometheus client library uses.

use std::fs::File;
use std::io::Read as _;
use std::mem::MaybeUninit;

use remora_core::http::digits;
use remora_core::metrics::{Family, Sink, Value};
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

const CPU: Family = Family::counter("process_cpu_seconds_total", "CPU time, user and system.");
const RESIDENT: Family = Family::gauge("process_resident_memory_bytes", "Resident memory.");
const VIRTUAL: Family = Family::gauge("process_virtual_memory_bytes", "Virtual address space.");
const STARTED: Family = Family::gauge("process_start_time_seconds", "Start time of the process, since 1970.");
const OPEN: Family = Family::gauge("process_open_fds", "Open file descriptors.");
const MOST_OPEN: Family = Family::gauge("process_max_fds", "Maximum number of open file descriptors.");

/// All families, in the order of the page. Without `/proc`, those read there are left out.
pub(super) const ALL: &[Family] = &[CPU, RESIDENT, VIRTUAL, STARTED, OPEN, MOST_OPEN];

/// Reports all families. `started` is in milliseconds since 1970.
pub(super) fn report(started: u64, to: &mut dyn Sink) {
    let memory = memory();
    let all = [
        (&CPU, Some(Value::Milli(cpu_ms()))),
        (&RESIDENT, memory.map(|(_, resident)| Value::Whole(resident))),
        (&VIRTUAL, memory.map(|(whole, _)| Value::Whole(whole))),
        (&STARTED, Some(Value::Milli(started))),
        (&OPEN, open().map(Value::Whole)),
        (&MOST_OPEN, getrlimit(Resource::Nofile).current.map(Value::Whole)),
    ];
    for (family, value) in all {
        if let Some(value) = value {
            to.values(family, &mut [value].into_iter());
        }
    }
}

fn cpu_ms() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let of = |part: i64| u64::try_from(part).unwrap_or_default();
    of(time.tv_sec).saturating_mul(1000).saturating_add(of(time.tv_nsec) / 1_000_000)
}

/// Bytes of the address space, and how many of them are resident.
fn memory() -> Option<(u64, u64)> {
    let mut buffer = [0; 128];
    let length = File::open("/proc/self/statm").ok()?.read(&mut buffer).ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    let mut pages = buffer.get(..length)?.split(|&byte| byte == b' ').map(digits::decimal);
    let mut bytes = || pages.next().flatten()?.checked_mul(page);
    Some((bytes()?, bytes()?))
}

/// How many file descriptors are open, without the one used for counting.
fn open() -> Option<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open("/proc/self/fd", flags, Mode::empty()).ok()?;
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(folder, &mut buffer);
    let mut names = 0_u64;
    while let Some(entry) = entries.next() {
        names += u64::from(entry.ok()?.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit));
    }
    Some(names.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_read_right() {
        let (whole, resident) = memory().expect("/proc");
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            line.trim().trim_end_matches(" kB").parse::<u64>().expect(name) * 1024
        };
        assert!(resident <= whole && resident > line("VmRSS:") / 2 && resident < line("VmRSS:") * 2);
        let before = open().expect("/proc");
        let files: Vec<_> = (0..100).map(|_| File::open("/proc/self/statm").expect("a file")).collect();
        let seen = open().expect("/proc");
        // Other tests in this process also open and close files.
        assert!(seen.abs_diff(before + 100) < 50, "{before} and 100 more are not {seen}");
        drop(files);
        let spent = cpu_ms();
        while cpu_ms() < spent + 20 {}
    }
}
