//! A map's key as JSON's text: what `serde_json` takes as a key, and no more.

use serde::Serialize;
use serde::ser::{Impossible, Serializer};

use super::Uncanonical;

pub(super) struct KeyWriter;

type Never = Impossible<String, Uncanonical>;

macro_rules! shown {
    ($($name:ident $kind:ty,)+) => { $(
        fn $name(self, value: $kind) -> Result<String, Uncanonical> {
            Ok(value.to_string())
        }
    )+ };
}

macro_rules! refused {
    ($($name:ident ($($kind:ty),*) -> $out:ty, $said:literal;)+) => { $(
        fn $name(self, $(_: $kind),*) -> Result<$out, Uncanonical> {
            Err(Uncanonical::Key($said))
        }
    )+ };
}

impl Serializer for KeyWriter {
    type Ok = String;
    type Error = Uncanonical;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    shown! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_i128 i128, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_u128 u128, serialize_bool bool, serialize_char char,
        serialize_str &str,
    }

    refused! {
        serialize_f32(f32) -> String, "a float";
        serialize_f64(f64) -> String, "a float";
        serialize_bytes(&[u8]) -> String, "bytes";
        serialize_none() -> String, "`None`";
        serialize_unit() -> String, "a unit";
        serialize_unit_struct(&'static str) -> String, "a unit";
        serialize_seq(Option<usize>) -> Never, "a list";
        serialize_tuple(usize) -> Never, "a tuple";
        serialize_tuple_struct(&'static str, usize) -> Never, "a tuple";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never, "a tuple";
        serialize_map(Option<usize>) -> Never, "a map";
        serialize_struct(&'static str, usize) -> Never, "a struct";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never, "a struct";
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<String, Uncanonical> {
        Err(Uncanonical::Key("an `Option`"))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, Uncanonical> {
        Ok(variant.to_string())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, Uncanonical> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, Uncanonical> {
        Err(Uncanonical::Key("an enum's variant with a value"))
    }
}
