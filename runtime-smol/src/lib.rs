//! Remora's smol adapter.
