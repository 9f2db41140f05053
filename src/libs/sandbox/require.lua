-- `kong.tools.sandbox.require`: the modules that sandboxed schemas and handlers may require.

local LUA = "bit string.buffer table.clear table.clone table.isarray table.isempty table.new table.nkeys"

local SCHEMA = "kong.db.schema.typedefs kong.tools.redis.schema"

local HANDLER = [[
  argon2 bcrypt cjson cjson.safe lyaml socket.url tablepool version xmlua
  kong.constants kong.concurrency kong.meta
  ngx.base64 ngx.re ngx.req ngx.resp ngx.semaphore
  pgmoon pgmoon.arrays pgmoon.hstore pl.stringx pl.tablex
  kong.tools:cjson,gzip,ip,mime_type,rand,sha256,string,table,time,timestamp,uri,uuid,yield
  resty:aes,lock,md5,memcached,mysql,random,redis,sha,sha1,sha224,sha256,sha384,sha512,string,upload,ada,cookie
  resty:core.time,dns.resolver,lrucache,lrucache.pureffi,ada.search,http,http_connect,http_headers,ipmatcher
  resty:jit-uuid,jq,jwt,evp,jwt-validators,hmac,passwdqc,session,rediscluster,xmodem,aws,azure,gcp
  resty.aws:utils,config,request.validate,request.build,request.sign,request.signatures.utils,request.execute
  resty.aws:request.signatures.v4,request.signatures.presign,request.signatures.none,service.rds.signer
  resty.aws:raw-api.region_config_data
  resty.aws.credentials:Credentials,ChainableTemporaryCredentials,CredentialProviderChain,EnvironmentCredentials
  resty.aws.credentials:EC2MetadataCredentials,SharedFileCredentials,RemoteCredentials
  resty.aws.credentials:TokenFileWebIdentityCredentials
  resty.azure:config,utils,api.keyvault,api.secrets,api.keys,api.certificates,api.auth,api.request.build
  resty.azure:api.request.execute,api.response.handle
  resty.azure.credentials:Credentials,ClientCredentials,WorkloadIdentityCredentials,ManagedIdentityCredentials
  resty.gcp:request.credentials.accesstoken,request.discovery
  resty:openssl
  resty.openssl:asn1,bn,cipher,ctx,dh,digest,ec,ecx,err,hmac,kdf,mac,objects,param,pkcs12,pkey,provider,rand,rsa
  resty.openssl:ssl,ssl_ctx,stack,version,x509
  resty.openssl.x509:altname,chain,crl,csr,name,revoked,store,extension,extension.dist_points
  resty.openssl.x509:extension.info_access
]]

local function requirer(...)
  local allowed = {}
  for _, text in ipairs { ... } do
    for word in text:gmatch("%S+") do
      local prefix, names = word:match("^([^:]+):(.+)$")
      for name in (names or word):gmatch("[^,]+") do
        allowed[prefix and prefix .. "." .. name or name] = true
      end
    end
  end
  return function(name)
    if not allowed[name] then
      error(("require '%s' not allowed within sandbox"):format(name))
    end
    return require(name)
  end
end

return {
  lua = requirer(LUA),
  schema = requirer(LUA, SCHEMA),
  handler = requirer(LUA, HANDLER),
}
