//! Names that two routers may each give before 3.10.6: producers' and data producers'.
//!
//! A producer that is piped into another router has the same id there, in the same worker too. Names are unique in all of
//! the worker here, so those are taken together with their router's.

/// Between a producer's id and its router's: the unit separator, which no id has in practice.
const SEPARATOR: char = '\u{1f}';

/// What may stand behind a name in a sentence; routers' ids have none of it.
const ENDS_OF_NAMES: [char; 5] = [' ', ']', ',', '\'', '"'];

/// Ids that only mean something within their router.
pub(super) fn is_scoped(member: &str) -> bool {
    matches!(member, "producerId" | "dataProducerId")
}

/// Whether a field of the schemas may have such names.
pub(super) fn may_hold(table: &str, field: &str) -> bool {
    table.starts_with("FBS.Common.") || field == "id" || field.ends_with("_id") || field.ends_with("_ids")
}

pub(super) fn scoped(id: &str, router: &str) -> String {
    format!("{id}{SEPARATOR}{router}")
}

/// The id that the controller knows.
pub(super) fn plain(name: &str) -> &str {
    name.split_once(SEPARATOR).map_or(name, |(id, _)| id)
}

/// A sentence with the names that the controller knows.
pub fn in_plain_names(text: &str) -> String {
    let mut parts = text.split(SEPARATOR);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(&part[part.find(ENDS_OF_NAMES).unwrap_or(part.len())..]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_lose_routers_behind_names() {
        let (one, other) = (scoped("p", "router"), scoped("d", "other"));
        let text = format!("not found [producerId:{one}], {other} '{one}' {other}");
        assert_eq!(in_plain_names(&text), "not found [producerId:p], d 'p' d");
        assert_eq!(in_plain_names("nothing"), "nothing");
    }

    #[test]
    fn an_id_comes_back_as_it_was() {
        let name = scoped("producer", "router");
        assert_ne!(name, scoped("producer", "other router"));
        assert_eq!((plain(&name), plain("consumer")), ("producer", "consumer"));
        assert!(is_scoped("producerId") && !is_scoped("consumerId"));
        assert!(may_hold("FBS.Transport.Dump", "producer_ids") && may_hold("FBS.Common.StringString", "key"));
        assert!(!may_hold("FBS.DataProducer.DumpResponse", "label"));
    }
}
