//! Heads and bodies.

use core::hint::black_box;
use remora_core::http::digits::{Decimal, decimal, hex_digit};
use remora_core::http::tunnel::{TunnelAnswer, encode_connect};
use remora_core::http::{
    BodyDecoder, Fields, Framing, HeadScan, HeadWriter, Piece, decode_request, decode_response, field_slots,
};

use crate::outside::{bytes, count, flag, look, look_at, maybe, number, show, text};

#[unsafe(no_mangle)]
extern "C" fn request_head(space: &mut [u8; 8192], name: &mut [u8; 64]) {
    let mut slots = field_slots();
    let (head, name) = (bytes(space), text(name));
    match decode_request(head, &mut slots) {
        Ok(head) => {
            black_box(&head);
            look(head.path().as_bytes());
            look_at_fields(&head.fields, name);
        }
        Err(error) => {
            show(&error);
            look_at(error.status().into());
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn response_head(space: &mut [u8; 8192], name: &mut [u8; 64]) {
    let mut slots = field_slots();
    let (head, name) = (bytes(space), text(name));
    match decode_response(head, &mut slots) {
        Ok(head) => {
            black_box(&head);
            look_at_fields(&head.fields, name);
        }
        Err(error) => show(&error),
    }
}

fn look_at_fields(fields: &Fields<'_, '_>, name: &str) {
    look_at(fields.iter().count() as u64);
    look(fields.first(name).unwrap_or_default());
    look_at(fields.has_token(name, name).into());
    match fields.only(name) {
        Ok(value) => look(value.unwrap_or_default()),
        Err(error) => show(&error),
    }
}

#[unsafe(no_mangle)]
extern "C" fn head_scan(scan: &mut HeadScan, space: &mut [u8; 8192]) {
    match scan.scan(bytes(space)) {
        Ok(end) => look_at(end.unwrap_or_default() as u64),
        Err(error) => show(&error),
    }
}

#[unsafe(no_mangle)]
extern "C" fn body(space: &mut [u8; 8192]) {
    let framing = match count() {
        0 => Framing::Empty,
        1 => Framing::Length(number()),
        2 => Framing::Chunked,
        _ => Framing::UntilClose,
    };
    let mut body = BodyDecoder::new(framing);
    while flag() {
        let outcome = match count() {
            0 => body.end_of_input(),
            1 => body.advance(count()),
            _ => body.next(bytes(space)).map(|(used, piece)| {
                look_at(used as u64);
                if let Piece::Data(run) = piece {
                    look(run);
                }
            }),
        };
        if let Err(error) = outcome {
            show(&error);
        }
        look_at(body.remaining().unwrap_or_default());
    }
    black_box(&body);
}

#[unsafe(no_mangle)]
extern "C" fn head_writer(out: &mut [u8; 2048], name: &mut [u8; 64], value: &mut [u8; 64]) {
    let room = out.get_mut(..count()).unwrap_or_default();
    let (name, value) = (text(name), bytes(value));
    let mut head = if flag() { HeadWriter::request(room, name) } else { HeadWriter::response(room, number() as u16) };
    while flag() {
        head.field(name, value).field_decimal(name, number());
    }
    match head.finish() {
        Ok(length) => look_at(length as u64),
        Err(error) => show(&error),
    }
}

#[unsafe(no_mangle)]
extern "C" fn tunnel(answer: &mut TunnelAnswer, space: &mut [u8; 8192], words: &mut [u8; 64]) {
    match answer.read(bytes(space)) {
        Ok(open) => look_at(open.into()),
        Err(error) => show(&error),
    }
    let length = encode_connect(text(words), maybe(bytes(space)), &mut [0; 512]);
    look_at(length.unwrap_or_default() as u64);
}

#[unsafe(no_mangle)]
extern "C" fn digits(space: &mut [u8; 64]) {
    look_at(decimal(bytes(space)).unwrap_or_default());
    look_at(hex_digit(number() as u8).unwrap_or_default().into());
    look(Decimal::new(number()).as_bytes());
}
