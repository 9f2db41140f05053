-- `kong.db.dao.snis`: the names certificates are for, also as the list of one certificate.

local cjson = require "cjson"

local tostring = tostring

local M = {}

--- Whether no name of the list is there yet, or only for the certificate `own_id`.
function M:check_list_is_new(names, own_id)
  for _, name in ipairs(names) do
    local row, err, err_t = self:select_by_name(name)
    if err then
      return nil, err, err_t
    elseif row and row.certificate.id ~= own_id then
      err_t = self.errors:schema_violation({
        snis = ("%s already associated with existing certificate '%s'"):format(name, row.certificate.id),
      })
      return nil, tostring(err_t), err_t
    end
  end
  return true
end

--- Writes an SNI per name.
function M:insert_list(cert_pk, names)
  cert_pk = self.db.certificates.schema:extract_pk_values(cert_pk)
  for _, name in ipairs(names) do
    local _, err, err_t = self:insert({ name = name, certificate = cert_pk })
    if err then
      return nil, err, err_t
    end
  end
  return true
end

--- Removes the SNIs of these names, all that can be: nil, all errors, the first error table.
function M:delete_list(names)
  local errors, first = {}, nil
  for _, name in ipairs(names) do
    local ok, err, err_t = self:delete_by_name(name)
    if not ok then
      errors[#errors + 1] = err
      first = first or err_t
    end
  end
  if #errors > 0 then
    return nil, table.concat(errors, ","), first
  end
  return true
end

--- The sorted names of a certificate.
function M:list_for_certificate(cert_pk, options)
  local names = setmetatable({}, cjson.array_mt)
  for sni, err, err_t in self:each_for_certificate(cert_pk, nil, options) do
    if err then
      return nil, err, err_t
    end
    names[#names + 1] = sni.name
  end
  table.sort(names)
  return names
end

local function missing_from(list, names)
  local known, missing = {}, {}
  for _, name in ipairs(list) do
    known[name] = true
  end
  for _, name in ipairs(names) do
    if not known[name] then
      known[name] = true
      missing[#missing + 1] = name
    end
  end
  return missing
end

--- Makes `names` the names of a certificate.
function M:update_list(cert_pk, names)
  local current, err, err_t = self:list_for_certificate(cert_pk)
  if not current then
    return nil, err, err_t
  end
  local ok
  ok, err, err_t = self:insert_list(cert_pk, missing_from(current, names))
  if not ok then
    return nil, err, err_t
  end
  self:delete_list(missing_from(names, current)) -- the new names hold, whatever becomes of the old
  return true
end

-- Writes that may change a name: caches of the name as it was are told first.
local function announcing(method, select)
  return function(self, key, entity, options)
    local old, err, err_t = self[select](self, key)
    if err then
      return nil, err, err_t
    elseif old then
      self:post_crud_event("update", old)
    end
    return self.super[method](self, key, entity, options)
  end
end

M.update = announcing("update", "select")
M.upsert = announcing("upsert", "select")
M.update_by_name = announcing("update_by_name", "select_by_name")
M.upsert_by_name = announcing("upsert_by_name", "select_by_name")

return M
