//! Parts of text that stay whole: addresses, names of files, handles, faces.

use std::ops::Range;

use super::tables;

pub(super) const OPENERS: &[char] = &['(', '[', '{', '<', '"', '\'', '“', '„', '‘', '«'];
pub(super) const CLOSERS: &[char] = &[')', ']', '}', '>', '"', '\'', '”', '’', '»'];
/// Marks that may stand behind an address without belonging to it.
const STOPS: &[char] = &['.', ',', ';', ':', '!', '?', '…'];

/// The part of a stretch that stays whole.
pub(super) fn whole(stretch: &str) -> Option<Range<usize>> {
    if tables::is_emoticon(stretch) || tables::is_slashed(stretch) {
        return Some(0..stretch.len());
    }
    let core = stretch.trim_start_matches(OPENERS);
    let start = stretch.len() - core.len();
    let mut end =
        core.trim_end_matches(|char| STOPS.contains(&char) || CLOSERS.contains(&char)).len();
    let open = core[..end].matches('(').count() > core[..end].matches(')').count();
    if open && core[end..].starts_with(')') {
        end += 1; // the bracket was opened inside the address
    }
    let core = &core[..end];
    let is_address = tables::scheme(core).is_some_and(|scheme| core.len() > scheme);
    if is_address || is_file(core) || tables::is_slashed(core) {
        return Some(start..start + core.len());
    }
    if let Some(end) = handle_end(core) {
        return Some(start..start + end);
    }
    if let Some(mail) = mail(core) {
        return Some(start + mail.start..start + mail.end);
    }
    let face = tables::final_emoticon(stretch)?;
    let before = |char: char| char.is_alphanumeric() || "!?.,".contains(char);
    stretch[..face].ends_with(before).then_some(face..stretch.len())
}

/// The e-mail address in a stretch; its host may lack a dot, as within a company.
fn mail(text: &str) -> Option<Range<usize>> {
    let at = text.find('@')?;
    let in_name = |char: char| char.is_alphanumeric() || "._+-%".contains(char);
    let in_host = |char: char| char.is_alphanumeric() || "._-".contains(char);
    let name = &text[..at];
    let start = name.trim_end_matches(in_name).len();
    let host = text[at + 1..].find(|char| !in_host(char)).unwrap_or(text.len() - at - 1);
    let host = text[at + 1..at + 1 + host].trim_end_matches(['.', '-', '_']);
    let is_one = name[start..].starts_with(char::is_alphanumeric)
        && host.starts_with(char::is_alphanumeric)
        && !host.contains("..");
    is_one.then_some(start..at + 1 + host.len())
}

/// Whether it is the name of a file, or the ending of one.
fn is_file(text: &str) -> bool {
    let Some((name, ending)) = text.rsplit_once('.') else { return false };
    let in_name = |char: char| char.is_alphanumeric() || "_-#.&".contains(char);
    tables::is_file_ending(ending) && name.chars().all(in_name)
}

/// The length of a hashtag or a handle.
fn handle_end(text: &str) -> Option<usize> {
    let name = text.strip_prefix(['#', '@'])?;
    let end = name.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(name.len());
    let named = name[..end].starts_with(|char: char| char.is_alphabetic() || char == '_');
    named.then_some(end + 1)
}
