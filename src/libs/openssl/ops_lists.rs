//! Ops of `resty.openssl.x509.altname`, `.extension.info_access` and `.extension.dist_points`.
//!
//! Must not: check what the Lua faces check.

use std::cell::RefCell;

use super::general::{self, GeneralName};
use super::places::{self, Access, Point};
use super::{asn1, cdata, objects};
use crate::libs::ops::text;
use crate::vm::{Args, Registrar, Ret, op};

type HeldNames = RefCell<Vec<GeneralName>>;
type HeldAccess = RefCell<Vec<Access>>;

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("openssl", "names_new", op::raw(names_new))?;
    r.op("openssl", "names_dup", op::raw(names_dup))?;
    r.op("openssl", "names_add", op::raw(names_add))?;
    r.op("openssl", "names_list", op::raw(names_list))?;
    r.op("openssl", "names_write", op::raw(names_write))?;
    r.op("openssl", "access_new", op::raw(access_new))?;
    r.op("openssl", "access_add", op::raw(access_add))?;
    r.op("openssl", "access_list", op::raw(access_list))?;
    r.op("openssl", "access_write", op::raw(access_write))?;
    r.op("openssl", "points_new", op::raw(points_new))?;
    r.op("openssl", "points_get", op::raw(points_get))?;
    r.op("openssl", "points_write", op::raw(points_write))
}

/// `names_new(der or nil)`: nil and why for bytes that are no general names.
fn names_new(a: &Args, r: &mut Ret) {
    match a.str(1).map(general::read) {
        None => r.int(cdata::keep(HeldNames::default())),
        Some(Ok(names)) => r.int(cdata::keep(HeldNames::new(names))),
        Some(Err(e)) => r.fail(e.to_string()),
    };
}

fn names_dup(a: &Args, r: &mut Ret) {
    match cdata::object::<HeldNames>(a, 1) {
        Some(names) => r.int(cdata::keep((*names).clone())),
        None => r.nil(),
    };
}

/// `names_add(names, kind, text)`: true, or nil and why.
fn names_add(a: &Args, r: &mut Ret) {
    let (Some(names), Some(kind)) = (cdata::object::<HeldNames>(a, 1), text(a, 2)) else {
        r.nil();
        return;
    };
    match GeneralName::new(kind, a.str(3).unwrap_or_default()) {
        Ok(name) => {
            names.borrow_mut().push(name);
            r.bool(true);
        }
        Err(e) => {
            r.fail(e);
        }
    }
}

/// `names_list(names)`: kind and value of each in one list; the value of a directory name is its bytes.
fn names_list(a: &Args, r: &mut Ret) {
    let Some(names) = cdata::object::<HeldNames>(a, 1) else {
        r.nil();
        return;
    };
    let names = names.borrow();
    r.table(names.len() * 2, 0, |t| {
        for (i, n) in names.iter().enumerate() {
            t.lit(n.kind()).seti(2 * i + 1);
            t.str(value(n)).seti(2 * i + 2);
        }
    });
}

/// What Lua gets of a name: its text, or of a directory's the bytes.
fn value(name: &GeneralName) -> Vec<u8> {
    match name {
        GeneralName::Directory(name) => name.write(),
        _ => name.text().unwrap_or_default(),
    }
}

fn names_write(a: &Args, r: &mut Ret) {
    r.opt(cdata::object::<HeldNames>(a, 1).map(|n| general::write(&n.borrow())));
}

/// `access_new(der or nil)`: nil and why for bytes that are none.
fn access_new(a: &Args, r: &mut Ret) {
    match a.str(1).map(places::read_access) {
        None => r.int(cdata::keep(HeldAccess::default())),
        Some(Ok(all)) => r.int(cdata::keep(HeldAccess::new(all))),
        Some(Err(e)) => r.fail(e.to_string()),
    };
}

/// `access_add(access, method, kind, text)`: true, or nil and why.
fn access_add(a: &Args, r: &mut Ret) {
    let method = text(a, 2).and_then(asn1::undotted);
    let (Some(all), Some(method), Some(kind)) = (cdata::object::<HeldAccess>(a, 1), method, text(a, 3))
    else {
        r.nil();
        return;
    };
    match GeneralName::new(kind, a.str(4).unwrap_or_default()) {
        Ok(place) => {
            all.borrow_mut().push(Access { method, place });
            r.bool(true);
        }
        Err(e) => {
            r.fail(e);
        }
    }
}

/// `access_list(access)`: of each the method's number, the kind and the value, in one list.
fn access_list(a: &Args, r: &mut Ret) {
    let Some(all) = cdata::object::<HeldAccess>(a, 1) else {
        r.nil();
        return;
    };
    let all = all.borrow();
    r.table(all.len() * 3, 0, |t| {
        for (i, access) in all.iter().enumerate() {
            let nid = objects::by_contents(&access.method).map_or(0, |o| i64::from(o.nid));
            t.int(nid).seti(3 * i + 1);
            t.lit(access.place.kind()).seti(3 * i + 2);
            t.str(value(&access.place)).seti(3 * i + 3);
        }
    });
}

fn access_write(a: &Args, r: &mut Ret) {
    r.opt(cdata::object::<HeldAccess>(a, 1).map(|all| places::write_access(&all.borrow())));
}

/// `points_new(der or nil)`: nil and why for bytes that are none.
fn points_new(a: &Args, r: &mut Ret) {
    match a.str(1).map(places::read_points) {
        None => r.int(cdata::keep(Vec::<Point>::new())),
        Some(Ok(all)) => r.int(cdata::keep(all)),
        Some(Err(e)) => r.fail(e.to_string()),
    };
}

/// `points_get(points, place)`: the number of a list of names, or nil; without a place how many points there are.
fn points_get(a: &Args, r: &mut Ret) {
    let Some(all) = cdata::object::<Vec<Point>>(a, 1) else {
        r.nil();
        return;
    };
    let Some(place) = a.int(2) else {
        r.int(all.len() as i64);
        return;
    };
    match usize::try_from(place - 1).ok().and_then(|i| all.get(i)) {
        Some(point) => r.int(cdata::keep(HeldNames::new(point.names.clone()))),
        None => r.nil(),
    };
}

fn points_write(a: &Args, r: &mut Ret) {
    r.opt(cdata::object::<Vec<Point>>(a, 1).map(|all| places::write_points(&all)));
}
