"""MIT's own libk5crypto by ctypes, to be compared with."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_int32, c_size_t, c_uint, c_void_p, cast, create_string_buffer

LIBRARY = "libk5crypto.so.3"


class _Data(Structure):
    _fields_ = (("magic", c_int32), ("length", c_uint), ("data", c_void_p))


class _Keyblock(Structure):
    _fields_ = (("magic", c_int32), ("enctype", c_int32), ("length", c_uint), ("contents", c_void_p))


class _Sealed(Structure):
    _fields_ = (("magic", c_int32), ("enctype", c_int32), ("kvno", c_int32), ("cipher", _Data))


class _Checksum(Structure):
    _fields_ = (("magic", c_int32), ("kind", c_int32), ("length", c_uint), ("contents", c_void_p))


def _data(value: bytes) -> _Data:
    return _Data(0, len(value), cast(c_char_p(value), c_void_p))


def _key(enctype: int, value: bytes) -> _Keyblock:
    return _Keyblock(0, enctype, len(value), cast(c_char_p(value), c_void_p))


class Mit:
    """The library; OSError where it is not there. What it refuses is an ArithmeticError with its number."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(LIBRARY)

    def _do(self, name: str, *arguments: object) -> None:
        error = getattr(self.library, name)(None, *arguments)
        if error:
            raise ArithmeticError(error)

    def string_to_key(self, enctype: int, password: bytes, salt: bytes, params: bytes | None) -> bytes:
        made, told = _Keyblock(), None if params is None else byref(_data(params))
        name = "krb5_c_string_to_key_with_params"
        self._do(name, enctype, byref(_data(password)), byref(_data(salt)), told, byref(made))
        return ctypes.string_at(made.contents, made.length)

    def encrypt(self, enctype: int, key: bytes, usage: int, plain: bytes) -> bytes:
        size = c_size_t()
        self._do("krb5_c_encrypt_length", enctype, c_size_t(len(plain)), byref(size))
        room = create_string_buffer(size.value)
        sealed = _Sealed(0, enctype, 0, _Data(0, size.value, cast(room, c_void_p)))
        self._do("krb5_c_encrypt", byref(_key(enctype, key)), usage, None, byref(_data(plain)), byref(sealed))
        return room.raw[: sealed.cipher.length]

    def decrypt(self, enctype: int, key: bytes, usage: int, cipher: bytes) -> bytes:
        room = create_string_buffer(len(cipher))
        plain = _Data(0, len(cipher), cast(room, c_void_p))
        sealed = _Sealed(0, enctype, 0, _data(cipher))
        self._do("krb5_c_decrypt", byref(_key(enctype, key)), usage, None, byref(sealed), byref(plain))
        return room.raw[: plain.length]

    def checksum(self, kind: int, enctype: int, key: bytes, usage: int, data: bytes) -> bytes:
        made = _Checksum()
        pointer = POINTER(_Checksum)
        self._do("krb5_c_make_checksum", kind, byref(_key(enctype, key)), usage, byref(_data(data)), pointer(made))
        return ctypes.string_at(made.contents, made.length)
