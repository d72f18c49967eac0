//! The figures, as lines for people.

use std::time::Duration;

const MIB: f64 = 1_048_576.0;

/// A title and the heads of the columns.
pub(crate) fn head(title: &str, columns: [&str; 4]) {
    let [first, second, third, last] = columns;
    println!("\n{title}\n{:<46} {first:>9} {second:>9} {third:>9} {last:>9}", "");
}

/// One line; columns without a value stay empty.
pub(crate) fn line(name: &str, values: [Option<f64>; 4]) {
    let cell = |value: Option<f64>| match value {
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
        None => String::new(),
    };
    let [first, second, third, last] = values.map(cell);
    println!("{name:<46} {first:>9} {second:>9} {third:>9} {last:>9}");
}

/// MiB for each second.
pub(crate) fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / MIB / time.as_secs_f64()
}
