//! Dates as the portals write and read them.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
const TICKS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]");

/// A moment with the seven digits of .NET: `2026-07-01T10:00:00.1234567Z`, or with an offset where the portal has one.
pub(super) fn write(moment: OffsetDateTime, utc_offset_min: i16) -> String {
    let offset = UtcOffset::from_whole_seconds(i32::from(utc_offset_min) * 60).unwrap_or(UtcOffset::UTC);
    let text = moment.to_offset(offset).format(TICKS).expect("a moment has every part of the format");
    if offset.is_utc() {
        return format!("{text}Z");
    }
    let sign = if offset.is_negative() { '-' } else { '+' };
    let (hours, minutes, _) = offset.as_hms();
    format!("{text}{sign}{:02}:{:02}", hours.abs(), minutes.abs())
}

/// The moment as the database keeps it: whole seconds.
pub(super) fn to_seconds(moment: OffsetDateTime) -> OffsetDateTime {
    moment.replace_nanosecond(0).expect("zero nanoseconds are some")
}

/// What the servers take as a date: the round-trip format, the same with `-` in the time, without fractions, or a day.
pub(super) fn read(text: &str) -> Option<OffsetDateTime> {
    if let Ok(day) = Date::parse(text, DATE) {
        return Some(day.midnight().assume_utc());
    }
    let (day, rest) = text.split_once('T')?;
    let (clock, offset) = split_offset(rest)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let is_fraction = fraction.len() <= 7 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_fraction || (clock.contains(':') && clock.contains('-')) {
        return None;
    }
    let whole = PrimitiveDateTime::parse(&format!("{day}T{}", clock.replace('-', ":")), SECONDS).ok()?;
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Some(whole.replace_nanosecond(nanoseconds).ok()?.assume_offset(offset))
}

/// The time of day and the offset behind it: `Z`, `+hh:mm`, or none, which is UTC.
fn split_offset(text: &str) -> Option<(&str, UtcOffset)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, UtcOffset::UTC));
    }
    let sign_at = text.len().checked_sub("+hh:mm".len());
    let Some((clock, offset)) = sign_at.and_then(|at| text.split_at_checked(at)) else {
        return Some((text, UtcOffset::UTC));
    };
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' if clock.len() >= "hh:mm:ss".len() => -1,
        _ => return Some((text, UtcOffset::UTC)),
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let minutes = hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?;
    Some((clock, UtcOffset::from_whole_seconds(sign * minutes * 60).ok()?))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn moments_have_seven_digits() {
        let moment = datetime!(2026-07-01 10:00:00.123456789 UTC);
        assert_eq!(write(moment, 0), "2026-07-01T10:00:00.1234567Z");
        assert_eq!(write(moment, 180), "2026-07-01T13:00:00.1234567+03:00");
        assert_eq!(write(to_seconds(moment), -90), "2026-07-01T08:30:00.0000000-01:30");
    }

    #[test]
    fn every_format_the_servers_take_is_read() {
        let expected = datetime!(2008-04-10 06:30:00 UTC);
        for text in [
            "2008-04-10T06-30-00.000Z",
            "2008-04-10T06:30:00.0000000Z",
            "2008-04-10T06:30:00Z",
            "2008-04-10T06-30-00Z",
            "2008-04-10T09:30:00.000+03:00",
            "2008-04-10T06:30:00",
            "2008-04-10T03:30:00-03:00",
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        assert_eq!(read("2008-04-10"), Some(datetime!(2008-04-10 00:00:00 UTC)));
        for text in ["", "10.04.2008", "2008-04-10T06-30:00Z", "2008-04-10T06:30:00.12345678Z", "2008-13-10"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
