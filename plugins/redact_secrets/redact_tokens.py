"""What the well-known prefixed API keys and tokens look like. Pure.

Every pattern starts at a word boundary and is a literal prefix and a run without a required
suffix (or a bounded one), so that a search over any text takes linear time.
"""

from __future__ import annotations

import re

#: one entry per vendor and form; a publishable key (Stripe's ``pk_``) is public and not listed.
_FORMS = (
    r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}",  # AWS access key id
    r"ABSK[A-Za-z0-9+/]{109,269}={0,2}",  # AWS Bedrock
    r"AIza[\w-]{35}",  # Google API key
    r"ya29\.[\w-]{20,}",  # Google OAuth
    r"GOCSPX-[\w-]{28}",  # Google OAuth client secret
    r"gh[opusr]_[A-Za-z0-9]{36,255}",  # GitHub
    r"github_pat_\w{22,255}",
    r"gl(?:pat|ptt|dt|rt|cbt|agent|soat|ft|imt|oas)-[\w.-]{20,}",  # GitLab
    r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}",  # Grafana
    r"glc_[A-Za-z0-9+/]{32,}={0,2}",
    r"xox[abceoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"xapp-\d-[A-Z0-9]{8,15}-\d{8,15}-[a-z0-9]{32,}",
    r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"whsec_[A-Za-z0-9+/]{24,}={0,2}",
    r"sk-ant-[\w-]{20,}",  # Anthropic
    r"sk-(?:proj|svcacct|admin|None|or-v1)-[\w-]{20,}",  # OpenAI, OpenRouter
    r"sk-[A-Za-z0-9]{32,}",
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"gsk_[A-Za-z0-9]{40,}",  # Groq
    r"xai-[A-Za-z0-9]{60,}",  # xAI
    r"r8_[A-Za-z0-9]{37,}",  # Replicate
    r"pplx-[A-Za-z0-9]{40,}",  # Perplexity
    r"SG\.[\w-]{16,32}\.[\w-]{32,64}",  # SendGrid
    r"SK[0-9a-f]{32}",  # Twilio
    r"key-[0-9a-f]{32}",  # Mailgun
    r"[0-9a-f]{32}-us\d{1,2}",  # Mailchimp
    r"npm_[A-Za-z0-9]{36}",  # npm
    r"pypi-[\w-]{50,}",  # PyPI
    r"rubygems_[0-9a-f]{48}",  # RubyGems
    r"dckr_(?:pat|oat)_[\w-]{27,}",  # Docker Hub
    r"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    r"sq0(?:atp|csp|idp)-[\w-]{22,43}",  # Square
    r"\d{8,10}:AA[\w-]{33}",  # Telegram bot
    r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,38}",  # Discord bot
    r"dapi[0-9a-f]{32}(?:-\d)?",  # Databricks
    r"hv[sbr]\.[\w-]{24,}",  # HashiCorp Vault
    r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}",  # HCP Terraform
    r"ATATT3[\w=-]{50,}",  # Atlassian
    r"lin_api_[A-Za-z0-9]{40}",  # Linear
    r"ntn_[A-Za-z0-9]{40,}",  # Notion
    r"secret_[A-Za-z0-9]{43}",
    r"fig[dur]_[\w-]{40,}",  # Figma
    r"NRAK-[A-Z0-9]{27}",  # New Relic
    r"sntry[su]_[A-Za-z0-9+/=_-]{40,}",  # Sentry
    r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
    r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{40,}",  # Doppler
    r"pul-[0-9a-f]{40}",  # Pulumi
    r"sbp_[0-9a-f]{40}",  # Supabase
    r"pscale_(?:tkn|pw|oauth)_[\w.=-]{32,}",  # PlanetScale
    r"nfp_[A-Za-z0-9]{36,}",  # Netlify
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}",  # age
    r"S[ACNOUX][A-Z2-7]{56}",  # NATS nkey seed
)

#: the right-hand boundary: a longer run of the same characters is something else.
PREFIXED = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(_FORMS)})(?![A-Za-z0-9_])", re.ASCII)

#: signed (header.claims.signature, the last may be empty) and encrypted (five parts) forms.
JSON_WEB_TOKEN = re.compile(
    r"(?<![\w-])eyJ[\w-]{8,}+\."
    r"(?:eyJ[\w-]{8,}+\.[\w-]*+|[\w-]*+\.[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{8,}+)",
    re.ASCII,
)

#: a secret that is part of a URL's path.
WEBHOOK = re.compile(
    r"https://(?:hooks\.slack\.com/(?:services|workflows)"
    r"|discord(?:app)?\.com/api/webhooks"
    r"|[a-z0-9-]{1,63}\.webhook\.office\.com/webhookb2)/(?P<secret>[\w/@-]{20,})",
    re.ASCII,
)

#: from BEGIN to the next five dashes, which normally are those of END.
PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<body>[^-]*+(?:-(?!----)[^-]*+)*+)"
    r"(?:-----END [A-Z0-9 ]{0,60}-----)?"
)

#: what the body of a real key has, and a sentence about keys has not.
PRIVATE_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{32}")
