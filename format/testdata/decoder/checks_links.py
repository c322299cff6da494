"""Checks of passwords, names, links and link records: password.json, accountname.json, link.json, linkrecord.json,
linkfolder.json (docs/vectors.md)."""

import account_name
import cbor
import link
import records
from password import prepare
from vectors import parse_hex, require, same, same_value


def check_password(case):
    prepared = prepare(case.text("password"))
    if case.fail:
        return
    case.same("prepared", prepared)
    same(prepare(prepared), prepared, "prepared again")
    case.same("bytes", prepared.encode("utf-8"))
    if "key" in case:
        case.same("key", link.password_key(prepared.encode("utf-8"), case.fixed("handle", 16)))


def check_name(case):
    prepared = account_name.prepare(case.text("typed"))
    if case.fail:
        return
    case.same("prepared", prepared)
    same(account_name.prepare(prepared), prepared, "prepared again")


def check_link(case):
    handle, fragment = case.fixed("handle", 16), case.text("fragment")
    flags, secret = link.decode_fragment(handle, fragment)
    if case.fail:
        return
    case.same("flags", flags)
    case.same("secret", secret)
    case.same("fragment", link.encode_fragment(handle, flags, secret))
    case.same("url", link.url(case.text("base"), handle, fragment))
    _check_keys(case, handle, flags, secret)
    case.same("manageHash", link.manage_hash(handle, case.fixed("manageSecret", 32)))


def _check_keys(case, handle, flags, secret):
    """All that derives from the secret, and from the password in a link that needs one."""
    with_password = bool(flags & link.PASSWORD_FLAG)
    require(with_password == ("password" in case) == ("passwordKey" in case), "password and flag")
    password = case.text("password") if with_password else None
    if with_password:
        case.same("passwordKey", link.password_key(prepare(password).encode("utf-8"), handle))
    final = link.final_key(handle, secret, password)
    case.same("finalKey", final)
    case.same("auth", link.auth(final, handle))
    case.same("recordKey", link.record_key(final, handle))
    case.same("authHash", link.auth_hash(link.auth(final, handle)))


def check_record(case):
    handle, secret, record = case.fixed("handle", 16), case.fixed("secret", 32), case.data("record")
    password = case.text("password") if "password" in case else None
    key = link.record_key(link.final_key(handle, secret, password), handle)
    plaintext, value = link.open_link_record(key, handle, record)
    if case.fail:
        return
    case.same("recordKey", key)
    case.same("salt", record[1:33])
    if "plaintext" in case:
        same(plaintext, parse_hex(case["plaintext"]), "plaintext")
    same_value(value, case["value"])
    same(cbor.encode(value) == plaintext, case.flag("again"), "encoding again")
    same(records.seal(key, "link", handle, case.fixed("salt", 32), plaintext), record, "record")
