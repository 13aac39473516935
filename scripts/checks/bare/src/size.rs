//! Sizes of the state machines, as symbols of the same size.

use remora_core::forward::Exchange;
use remora_core::http::BodyDecoder;
use remora_core::remote_write::Check;
use remora_core::snappy::Decoder;
use remora_core::token::Lifecycle;

/// A symbol of the same size as a type.
macro_rules! symbol {
    ($($name:ident = $of:ty;)*) => {
        $(
            #[unsafe(no_mangle)]
            static $name: [u8; size_of::<$of>()] = [0; size_of::<$of>()];
        )*
    };
}

symbol! {
    SIZE_OF_EXCHANGE = Exchange<'static>;
    SIZE_OF_BODY_DECODER = BodyDecoder;
    SIZE_OF_SNAPPY_DECODER = Decoder<'static>;
    SIZE_OF_CHECK = Check<'static>;
    SIZE_OF_LIFECYCLE = Lifecycle;
}
