//! The serializer behind [`canonical`](super::canonical): writes once, sorts each map at its end.

use std::fmt::Write as _;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::Uncanonical;
use super::key::KeyWriter;

/// Writes one value behind what is in `out` already.
pub(super) struct Writer<'o> {
    pub(super) out: &'o mut String,
}

impl Writer<'_> {
    /// Writing into a `String` cannot fail.
    fn put(self, value: impl std::fmt::Display) {
        let _ = write!(self.out, "{value}");
    }

    fn variant(self, name: &str) -> Result<(), Uncanonical> {
        self.out.push('{');
        text(self.out, name)?;
        self.out.push(':');
        Ok(())
    }
}

/// Quoted and escaped as `serde_json` does it.
pub(super) fn text(out: &mut String, text: &str) -> Result<(), Uncanonical> {
    // Most texts need no escape: they are copied whole.
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return Ok(());
    }
    let quoted = serde_json::to_string(text).map_err(|e| Uncanonical::Custom(e.to_string()))?;
    out.push_str(&quoted);
    Ok(())
}

macro_rules! integers {
    ($($name:ident $integer:ty,)+) => { $(
        fn $name(self, value: $integer) -> Result<(), Uncanonical> {
            self.put(value);
            Ok(())
        }
    )+ };
}

impl<'o> Serializer for Writer<'o> {
    type Ok = ();
    type Error = Uncanonical;
    type SerializeSeq = List<'o>;
    type SerializeTuple = List<'o>;
    type SerializeTupleStruct = List<'o>;
    type SerializeTupleVariant = List<'o>;
    type SerializeMap = Map<'o>;
    type SerializeStruct = Map<'o>;
    type SerializeStructVariant = Map<'o>;

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_i128 i128, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_u128 u128, serialize_bool bool,
    }

    fn serialize_f32(self, value: f32) -> Result<(), Uncanonical> {
        if !value.is_finite() {
            return Err(Uncanonical::NotFinite(value.into()));
        }
        let shortest = serde_json::to_string(&value);
        self.out.push_str(&shortest.map_err(|e| Uncanonical::Custom(e.to_string()))?);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Uncanonical> {
        if !value.is_finite() {
            return Err(Uncanonical::NotFinite(value));
        }
        let shortest = serde_json::to_string(&value);
        self.out.push_str(&shortest.map_err(|e| Uncanonical::Custom(e.to_string()))?);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Uncanonical> {
        text(self.out, value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Uncanonical> {
        text(self.out, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Uncanonical> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), Uncanonical> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Uncanonical> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Uncanonical> {
        self.out.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Uncanonical> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Uncanonical> {
        text(self.out, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Uncanonical> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Uncanonical> {
        let out = self.out;
        Writer { out }.variant(variant)?;
        value.serialize(Writer { out })?;
        out.push('}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'o>, Uncanonical> {
        Ok(List::new(self.out, "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'o>, Uncanonical> {
        Ok(List::new(self.out, "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'o>, Uncanonical> {
        Ok(List::new(self.out, "]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'o>, Uncanonical> {
        let out = self.out;
        Writer { out }.variant(variant)?;
        Ok(List::new(out, "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map<'o>, Uncanonical> {
        Ok(Map::new(self.out, "}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Map<'o>, Uncanonical> {
        Ok(Map::new(self.out, "}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Map<'o>, Uncanonical> {
        let out = self.out;
        Writer { out }.variant(variant)?;
        Ok(Map::new(out, "}}"))
    }
}

/// An array being written.
pub(super) struct List<'o> {
    out: &'o mut String,
    first: bool,
    end: &'static str,
}

impl<'o> List<'o> {
    fn new(out: &'o mut String, end: &'static str) -> Self {
        out.push('[');
        List { out, first: true, end }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Uncanonical> {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(',');
        }
        value.serialize(Writer { out: self.out })
    }

    #[allow(clippy::unnecessary_wraps)] // the shape that serde's traits ask for
    fn finish(self) -> Result<(), Uncanonical> {
        self.out.push_str(self.end);
        Ok(())
    }
}

macro_rules! lists {
    ($($of:ident $method:ident,)+) => { $(
        impl $of for List<'_> {
            type Ok = ();
            type Error = Uncanonical;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Uncanonical> {
                self.element(value)
            }

            fn end(self) -> Result<(), Uncanonical> {
                self.finish()
            }
        }
    )+ };
}

lists! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

/// An object being written: entries as they come, brought into order at the end.
pub(super) struct Map<'o> {
    out: &'o mut String,
    start: usize,
    /// Each entry's key (raw, without quotes), and where its text `"key":value` begins and ends.
    entries: Vec<(String, usize, usize)>,
    end: &'static str,
}

impl<'o> Map<'o> {
    fn new(out: &'o mut String, end: &'static str) -> Self {
        out.push('{');
        let start = out.len();
        Map { out, start, entries: Vec::new(), end }
    }

    fn key(&mut self, key: String) -> Result<(), Uncanonical> {
        let from = self.out.len();
        text(self.out, &key)?;
        self.out.push(':');
        self.entries.push((key, from, from));
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Uncanonical> {
        value.serialize(Writer { out: self.out })?;
        if let Some(entry) = self.entries.last_mut() {
            entry.2 = self.out.len();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Uncanonical> {
        let in_order = self.entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !in_order {
            self.entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        }
        if let Some(pair) = self.entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Uncanonical::DuplicateKey(pair[0].0.clone()));
        }
        let written = self.out[self.start..].to_string();
        self.out.truncate(self.start);
        for (n, (_, from, to)) in self.entries.iter().enumerate() {
            if n > 0 {
                self.out.push(',');
            }
            self.out.push_str(&written[from - self.start..to - self.start]);
        }
        self.out.push_str(self.end);
        Ok(())
    }
}

impl SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Uncanonical;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Uncanonical> {
        let key = key.serialize(KeyWriter)?;
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Uncanonical> {
        self.value(value)
    }

    fn end(self) -> Result<(), Uncanonical> {
        self.finish()
    }
}

macro_rules! structs {
    ($($of:ident,)+) => { $(
        impl $of for Map<'_> {
            type Ok = ();
            type Error = Uncanonical;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Uncanonical> {
                self.key(key.to_string())?;
                self.value(value)
            }

            fn end(self) -> Result<(), Uncanonical> {
                self.finish()
            }
        }
    )+ };
}

structs! { SerializeStruct, SerializeStructVariant, }
