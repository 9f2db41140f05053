-- `kong.db.dao.certificates`: certificates together with the names (SNIs) they are for, as a field `snis`.

local cjson = require "cjson"
local clone = require("kong.tools.table").shallow_copy

local tostring, type = tostring, type

local M = {}

-- The sorted list in the field `snis`: nil when there is none; nil, error, error table when a name comes
-- twice.
local function names_of(self, cert)
  local given = cert.snis
  if given == ngx.null then
    given = {}
  elseif type(given) ~= "table" then
    return nil
  end
  local names, seen = clone(given), {}
  for _, name in ipairs(names) do
    if seen[name] then
      local err_t = self.errors:schema_violation({ snis = name .. " is duplicated" })
      return nil, tostring(err_t), err_t
    end
    seen[name] = true
  end
  table.sort(names)
  return setmetatable(names, cjson.array_mt)
end

-- The names of a write, none of which may be another certificate's: nil, error, error table.
local function names_to_write(self, cert, own_id)
  local names, err, err_t = names_of(self, cert)
  if err then
    return nil, err, err_t
  elseif names then
    local ok
    ok, err, err_t = self.db.snis:check_list_is_new(names, own_id)
    if not ok then
      return nil, err, err_t
    end
  end
  return names
end

--- Writes a certificate, and an SNI for each name in its field `snis`.
function M:insert(cert, options)
  local names, err, err_t = names_to_write(self, cert)
  if err then
    return nil, err, err_t
  end
  cert, err, err_t = self.super.insert(self, cert, options)
  if not cert then
    return nil, err, err_t
  end
  cert.snis = names or cjson.empty_array
  if names then
    local ok
    ok, err, err_t = self.db.snis:insert_list(cert, names, options)
    if not ok then
      return nil, err, err_t
    end
  end
  return cert
end

-- `update` and `upsert`: names that are given replace those there are.
local function replacing(method)
  return function(self, pk, cert, options)
    local names, err, err_t = names_to_write(self, cert, pk.id)
    if err then
      return nil, err, err_t
    end
    cert, err, err_t = self.super[method](self, pk, cert, options)
    if err then
      return nil, err, err_t
    end
    if names then
      cert.snis = names
      local ok
      ok, err, err_t = self.db.snis:update_list(pk, names)
      if not ok then
        return nil, err, err_t
      end
    else
      cert.snis, err, err_t = self.db.snis:list_for_certificate(pk)
      if not cert.snis then
        return nil, err, err_t
      end
    end
    return cert
  end
end

M.update = replacing "update"
M.upsert = replacing "upsert"

--- The certificate with the names it is for; an error when there is none.
function M:select_with_name_list(pk, options)
  local cert, err, err_t = self:select(pk, options)
  if err_t then
    return nil, err, err_t
  elseif not cert then
    err_t = self.errors:not_found(pk)
    return nil, tostring(err_t), err_t
  end
  cert.snis, err, err_t = self.db.snis:list_for_certificate(pk)
  if err_t then
    return nil, err, err_t
  end
  return cert
end

--- A page of certificates with their names.
function M:page(size, offset, options)
  local certs, err, err_t
  certs, err, err_t, offset = self.super.page(self, size, offset, options)
  if not certs then
    return nil, err, err_t
  end
  for _, cert in ipairs(certs) do
    cert.snis, err, err_t = self.db.snis:list_for_certificate(cert)
    if not cert.snis then
      return nil, err, err_t
    end
  end
  return certs, nil, nil, offset
end

--- Removes a certificate and its SNIs.
function M:delete(pk, options)
  local names, err, err_t = self.db.snis:list_for_certificate(pk)
  if not names then
    return nil, err, err_t
  end
  local ok
  ok, err, err_t = self.db.snis:delete_list(names)
  if not ok then
    return nil, err, err_t
  end
  return self.super.delete(self, pk, options)
end

return M
