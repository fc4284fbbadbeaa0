-- Some thousand rows as octavia would have written them: ids of octavia's are uuids with hyphens, projects are Keystone's,
-- 32 digits without. Names of states are those that its history fills in.
INSERT INTO provisioning_status (name) SELECT unnest('{ACTIVE,PENDING_CREATE,PENDING_UPDATE,PENDING_DELETE,DELETED,ERROR,READY,BOOTING,ALLOCATED,FAILOVER_STOPPED}'::text[]);
INSERT INTO operating_status (name) SELECT unnest('{ONLINE,OFFLINE,DEGRADED,ERROR,NO_MONITOR,DRAINING}'::text[]);
INSERT INTO protocol (name) SELECT unnest('{HTTP,HTTPS,TCP,TERMINATED_HTTPS,PROXY,UDP,SCTP,PROMETHEUS,PROXYV2}'::text[]);
INSERT INTO algorithm (name) SELECT unnest('{ROUND_ROBIN,LEAST_CONNECTIONS,SOURCE_IP,SOURCE_IP_PORT}'::text[]);
INSERT INTO amphora_roles (name) SELECT unnest('{MASTER,BACKUP,STANDALONE}'::text[]);
INSERT INTO lb_topology (name) SELECT unnest('{SINGLE,ACTIVE_STANDBY}'::text[]);
INSERT INTO session_persistence_type (name) SELECT unnest('{SOURCE_IP,HTTP_COOKIE,APP_COOKIE}'::text[]);
INSERT INTO health_monitor_type (name) SELECT unnest('{HTTP,HTTPS,TCP,PING,TLS-HELLO,UDP-CONNECT,SCTP}'::text[]);
INSERT INTO vrrp_auth_method (name) SELECT unnest('{PASS,AH}'::text[]);
INSERT INTO l7rule_type (name) SELECT unnest('{HOST_NAME,PATH,FILE_TYPE,HEADER,COOKIE,SSL_CONN_HAS_CERT}'::text[]);
INSERT INTO l7rule_compare_type (name) SELECT unnest('{REGEX,STARTS_WITH,ENDS_WITH,CONTAINS,EQUAL_TO}'::text[]);
INSERT INTO l7policy_action (name) SELECT unnest('{REJECT,REDIRECT_TO_URL,REDIRECT_TO_POOL,REDIRECT_PREFIX}'::text[]);
INSERT INTO client_authentication_mode (name) SELECT unnest('{NONE,OPTIONAL,MANDATORY}'::text[]);
INSERT INTO amphora_build_slots (id, slots_used) VALUES (1, 0);

-- What its history puts in the place of flavors and zones that are deleted.
INSERT INTO flavor_profile (id, name, provider_name, flavor_data)
  VALUES ('00000000-0000-0000-0000-000000000000', 'DELETED-PLACEHOLDER', 'DELETED', '{}');
INSERT INTO flavor (id, name, enabled, flavor_profile_id)
  SELECT id, name, false, id FROM flavor_profile;
INSERT INTO availability_zone_profile (id, name, provider_name, availability_zone_data)
  VALUES ('00000000-0000-0000-0000-000000000000', 'DELETED-PLACEHOLDER', 'DELETED', '{}');
INSERT INTO availability_zone (name, description, enabled, availability_zone_profile_id)
  SELECT id, 'placeholder', false, id FROM availability_zone_profile;

INSERT INTO flavor_profile (id, name, provider_name, flavor_data)
  SELECT gen_random_uuid(), 'profile ' || n, 'amphora', '{"loadbalancer_topology": "SINGLE"}' FROM generate_series(1, 4) AS n;
INSERT INTO flavor (id, name, enabled, flavor_profile_id)
  SELECT gen_random_uuid(), 'flavor of ' || name, true, id FROM flavor_profile WHERE provider_name = 'amphora';
INSERT INTO availability_zone_profile (id, name, provider_name, availability_zone_data)
  SELECT gen_random_uuid(), 'zone ' || n, 'amphora', '{"compute_zone": "nova"}' FROM generate_series(1, 3) AS n;
INSERT INTO availability_zone (name, enabled, availability_zone_profile_id)
  SELECT name, true, id FROM availability_zone_profile WHERE provider_name = 'amphora';
INSERT INTO quotas (project_id, load_balancer, in_use_load_balancer)
  SELECT replace(gen_random_uuid()::text, '-', ''), 100, 10 FROM generate_series(1, current_setting('octavia.projects')::integer);

CREATE TEMPORARY TABLE project AS SELECT project_id, row_number() OVER () AS n FROM quotas;
CREATE TEMPORARY TABLE a_flavor AS SELECT id, row_number() OVER () - 1 AS n FROM flavor;

INSERT INTO load_balancer (id, project_id, name, provisioning_status, operating_status, topology, enabled, provider,
                           flavor_id, server_group_id, availability_zone, created_at)
  SELECT gen_random_uuid(), p.project_id, 'balancer ' || p.n || '.' || i, 'ACTIVE', 'ONLINE', 'ACTIVE_STANDBY', true,
         'amphora', f.id, CASE WHEN i % 3 > 0 THEN gen_random_uuid() END, CASE WHEN i % 2 > 0 THEN 'zone 1' END,
         timestamp '2025-06-01' + i * interval '1 hour'
    FROM project AS p CROSS JOIN generate_series(1, 10) AS i LEFT JOIN a_flavor AS f ON f.n = i;
INSERT INTO vip (load_balancer_id, ip_address, port_id, subnet_id, network_id, octavia_owned)
  SELECT id, '10.0.0.' || row_number() OVER (), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), true
    FROM load_balancer;
INSERT INTO additional_vip (load_balancer_id, ip_address, port_id, subnet_id, network_id)
  SELECT load_balancer_id, '10.1.0.1', gen_random_uuid(), gen_random_uuid(), network_id FROM vip;
INSERT INTO vip_security_group (load_balancer_id, sg_id) SELECT load_balancer_id, gen_random_uuid() FROM vip;
INSERT INTO vrrp_group (load_balancer_id, vrrp_group_name, vrrp_auth_type, vrrp_auth_pass, advert_int)
  SELECT id, replace(id, '-', ''), 'PASS', left(md5(id), 7), 1 FROM load_balancer;
INSERT INTO amphora (id, load_balancer_id, compute_id, lb_network_ip, vrrp_ip, vrrp_port_id, ha_port_id, cert_busy,
                     role, status, image_id, created_at)
  SELECT gen_random_uuid(), b.id, gen_random_uuid(), '192.168.0.1', '10.0.0.1', gen_random_uuid(), v.port_id, false,
         role, 'ALLOCATED', gen_random_uuid(), b.created_at
    FROM load_balancer AS b JOIN vip AS v ON v.load_balancer_id = b.id, unnest('{MASTER,BACKUP}'::text[]) AS role;
INSERT INTO amphora_health (amphora_id, last_update, busy) SELECT id, created_at, false FROM amphora;
INSERT INTO amphora_build_request (amphora_id, priority, created_time, status)
  SELECT id, 40, created_at, 'WAITING' FROM amphora LIMIT 20;
INSERT INTO amphora_member_port (port_id, amphora_id, network_id)
  SELECT gen_random_uuid(), id, gen_random_uuid() FROM amphora;

INSERT INTO pool (id, load_balancer_id, project_id, name, protocol, lb_algorithm, provisioning_status, operating_status,
                  enabled, tls_enabled, created_at)
  SELECT gen_random_uuid(), id, project_id, 'pool ' || i, 'HTTP', 'ROUND_ROBIN', 'ACTIVE', 'ONLINE', true, false,
         created_at FROM load_balancer, generate_series(1, 2) AS i;
INSERT INTO session_persistence (pool_id, type, cookie_name) SELECT id, 'APP_COOKIE', 'session' FROM pool;
INSERT INTO health_monitor (id, pool_id, project_id, name, type, delay, timeout, fall_threshold, rise_threshold,
                            enabled, provisioning_status, operating_status, http_version)
  SELECT gen_random_uuid(), id, project_id, 'monitor', 'HTTP', 5, 5, 3, 3, true, 'ACTIVE', 'ONLINE', 1.1 FROM pool;
INSERT INTO member (id, pool_id, project_id, name, subnet_id, ip_address, protocol_port, weight, backup,
                    provisioning_status, operating_status, enabled, created_at)
  SELECT gen_random_uuid(), id, project_id, 'member ' || i, gen_random_uuid(), '10.2.0.' || i, 80, 1, false, 'ACTIVE',
         'ONLINE', true, created_at FROM pool, generate_series(1, 4) AS i;

INSERT INTO listener (id, load_balancer_id, project_id, name, protocol, protocol_port, default_pool_id,
                      provisioning_status, operating_status, enabled, peer_port, client_authentication, created_at)
  SELECT DISTINCT ON (b.id, port) gen_random_uuid(), b.id, b.project_id, 'listener ' || port, 'HTTP', port, p.id,
         'ACTIVE', 'ONLINE', true, 1024 + port, 'NONE', b.created_at
    FROM load_balancer AS b JOIN pool AS p ON p.load_balancer_id = b.id, unnest('{80,8080}'::int[]) AS port;
INSERT INTO listener_cidr (listener_id, cidr) SELECT id, '10.0.0.0/8' FROM listener;
INSERT INTO listener_statistics
  SELECT l.id, a.id, 1000, 2000, 3, 4, 5 FROM listener AS l JOIN amphora AS a USING (load_balancer_id);
INSERT INTO sni (listener_id, tls_container_id, position)
  SELECT id, 'https://barbican/v1/containers/' || gen_random_uuid(), 0 FROM listener;
INSERT INTO l7policy (id, listener_id, project_id, name, action, redirect_pool_id, position, enabled,
                      provisioning_status, operating_status)
  SELECT gen_random_uuid(), id, project_id, 'policy', 'REDIRECT_TO_POOL', default_pool_id, 1, true, 'ACTIVE', 'ONLINE'
    FROM listener;
INSERT INTO l7rule (id, l7policy_id, project_id, type, compare_type, value, invert, enabled, provisioning_status,
                    operating_status)
  SELECT gen_random_uuid(), id, project_id, 'PATH', 'STARTS_WITH', '/images', false, true, 'ACTIVE', 'ONLINE'
    FROM l7policy;
INSERT INTO tags (resource_id, tag)
  SELECT id, 'tag of ' || kind
    FROM (SELECT 'balancer', id FROM load_balancer UNION ALL SELECT 'pool', id FROM pool UNION ALL
          SELECT 'member', id FROM member UNION ALL SELECT 'listener', id FROM listener UNION ALL
          SELECT 'monitor', id FROM health_monitor UNION ALL SELECT 'policy', id FROM l7policy UNION ALL
          SELECT 'rule', id FROM l7rule) AS resource (kind, id);
DROP TABLE project, a_flavor;
