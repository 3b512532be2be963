-- Text as one sees it: Hangul composed (NFC), without zero-width or wide spaces around it.
create or replace temporary macro clean_text(value) as
    trim(replace(nfc_normalize(value), chr(8203), ''), ' ' || chr(12288))
