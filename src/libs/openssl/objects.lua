--- `resty.openssl.objects`: names, identifiers and numbers of objects.

local lookup = require("moongate.ops").openssl.object
local add = require("moongate.ops").openssl.object_add
local identifier = require("moongate.openssl.object").identifier

local _M = {}

--- The table of an object by its number: `id`, `nid`, `sn`, `ln`.
function _M.nid2table(nid)
  return lookup(nid)
end

--- The number of the object that a text names.
function _M.txt2nid(text)
  if type(text) ~= "string" then
    return nil, "objects.txt2nid: expect a string at #1"
  end
  local object = lookup(text)
  if not object or object.nid == 0 then
    return nil, "objects.txt2nid: invalid NID text " .. text
  end
  return object.nid
end

--- The number of the object that a text names, or the number itself.
function _M.txtnid2nid(v)
  if type(v) == "number" then
    return v
  end
  local object, err = identifier(v)
  if not object or object.nid == 0 then
    return nil, err or "objects.txtnid2nid: invalid NID text " .. v
  end
  return object.nid
end

--- The number of the digest of a signature algorithm.
function _M.find_sigid_algs(nid)
  local object = lookup(nid)
  local digest = object and (object.sn:match("^RSA%-(%w+)$") or object.sn:match("^ecdsa%-with%-(%w+)$"))
  if not digest then
    return 0, "objects.find_sigid_algs: invalid sigid " .. nid
  end
  return lookup(digest).nid
end

--- Adds an object of one's own, for all workers: its number, or 0.
function _M.create(oid, sn, ln)
  return type(oid) == "string" and add(oid, sn, ln) or 0
end

return _M
