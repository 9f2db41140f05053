-- `kong.db.strategies.off.tags`: the tags of all entities, entity by entity in the order of their names.
--
-- An offset is "<entity>|<offset of its rows>", the latter "nil" when that entity is done.

local decode_base64 = ngx.decode_base64

local M = {}

local function tagged_entities()
  local names = {}
  for name, dao in pairs(kong.db.daos) do
    if name ~= "tags" and dao.schema.fields.tags then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function read_offset(self, offset)
  if not offset then
    return
  end
  local name, rest = offset:match("^([^|]+)|(.+)")
  if not name then
    return nil, nil, self.errors:invalid_offset(offset, "bad offset string")
  end
  if rest == "nil" then
    return name
  end
  if not decode_base64(rest) then
    return nil, nil, self.errors:invalid_offset(rest, "bad base64 encoding")
  end
  return name, rest
end

-- Which entity a page is of: the one under way, or the one after it.
local function place(names, name, rest)
  for i = 1, name and #names or 0 do
    if names[i] == name then
      return rest and i or i + 1
    elseif names[i] > name then
      return i
    end
  end
  return name and #names + 1 or 1
end

--- A page of { tag, entity_name, entity_id }: of one entity, and so maybe empty though there is more.
function M:page_for_tags(size, offset, options)
  local name, rest, err_t = read_offset(self, offset)
  if err_t then
    return nil, err_t
  end
  local wanted
  if options and options.tags then
    wanted = {}
    for _, tag in ipairs(options.tags) do
      wanted[tag] = true
    end
  end

  local names = tagged_entities()
  local at = place(names, name, rest)
  local entity = names[at]
  if not entity then
    return {}
  end

  local rows
  rows, err_t, rest = kong.db.daos[entity].strategy:page(size, rest)
  if not rows then
    return nil, err_t
  end
  local items = {}
  for _, row in ipairs(rows) do
    for _, tag in ipairs(type(row.tags) == "table" and row.tags or {}) do
      if not wanted or wanted[tag] then
        items[#items + 1] = { tag = tag, entity_name = entity, entity_id = row.id }
      end
    end
  end
  if rest or names[at + 1] then
    return items, nil, entity .. "|" .. (rest or "nil")
  end
  return items
end

--- The rows that carry one tag.
function M:page_by_tag(tag, size, offset, options)
  options = options or {}
  options.tags = { tag }
  return self:page_for_tags(size, offset, options)
end

function M:page(size, offset, options)
  return self:page_for_tags(size, offset, options)
end

return M
